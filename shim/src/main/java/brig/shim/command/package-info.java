/** What {@code brig} on the command line says, run in the daemon for the thin native client. */
@NullMarked
package brig.shim.command;

import org.jspecify.annotations.NullMarked;

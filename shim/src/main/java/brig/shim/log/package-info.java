/**
 * Log lines in logfmt: time, level, message, then fields. One line per event, never a stack of
 * lines.
 */
@NullMarked
package brig.shim.log;

import org.jspecify.annotations.NullMarked;

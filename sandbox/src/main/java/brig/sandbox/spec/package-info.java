/**
 * The OCI runtime specification for Linux as immutable records, and its parser with a path for
 * every error.
 */
@NullMarked
package brig.sandbox.spec;

import org.jspecify.annotations.NullMarked;

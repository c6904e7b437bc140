@NullMarked
package brig.shim;

import org.jspecify.annotations.NullMarked;

@NullMarked
package brig.testing;

import org.jspecify.annotations.NullMarked;

@NullMarked
package brig.sandbox;

import org.jspecify.annotations.NullMarked;

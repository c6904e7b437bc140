/** What the bench promises about its own figures. */
@NullMarked
package brig.testing.bench;

import org.jspecify.annotations.NullMarked;

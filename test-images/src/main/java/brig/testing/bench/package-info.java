/** Measures runtimes side by side under one containerd. */
@NullMarked
package brig.testing.bench;

import org.jspecify.annotations.NullMarked;

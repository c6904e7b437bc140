@NullMarked
package brig.profiles;

import org.jspecify.annotations.NullMarked;

/** Host id ranges for user namespaces: who has which, so that no two pods ever share an id. */
@NullMarked
package brig.sandbox.ids;

import org.jspecify.annotations.NullMarked;

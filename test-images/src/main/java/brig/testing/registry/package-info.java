/**
 * An image registry for programs that will pull: it stands in for public ones where there is no
 * network. It only serves; nothing can be pushed.
 */
@org.jspecify.annotations.NullMarked
package brig.testing.registry;

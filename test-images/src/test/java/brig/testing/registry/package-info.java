/** The registry, asked by a client of the JDK's. */
@org.jspecify.annotations.NullMarked
package brig.testing.registry;

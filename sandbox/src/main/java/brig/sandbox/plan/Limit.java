package brig.sandbox.plan;

/**
 * One value for one file of one controller.
 *
 * @param controller whose directory holds the file
 * @param askedBy the spec's field
 */
record Limit(String controller, String file, String value, String askedBy) {}

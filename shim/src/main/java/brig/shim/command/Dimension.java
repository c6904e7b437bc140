package brig.shim.command;

/**
 * One thing that a container may have more or less of.
 *
 * @param asked by config.json
 * @param granted by the plan
 * @param why it was granted so; empty where it was granted as it was asked
 * @param kernel what the kernel says now, or why it can't be asked
 */
record Dimension(String name, String asked, String granted, String why, String kernel) {}

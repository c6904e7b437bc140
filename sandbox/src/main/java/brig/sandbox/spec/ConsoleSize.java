package brig.sandbox.spec;

/** {@code process.consoleSize}. */
public record ConsoleSize(int height, int width) {}

package brig.sandbox.spec;

/** {@code process.ioPriority}. */
public record IoPrioritySpec(IoPriorityClass ioClass, int priority) {}

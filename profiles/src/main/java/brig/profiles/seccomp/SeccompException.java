package brig.profiles.seccomp;

/** A policy that can't be made into a filter: which part of it, and why. */
public final class SeccompException extends Exception {
  private static final long serialVersionUID = 1L;

  private final String object;
  private final String reason;

  /**
   * @param object the part of the policy, for example a system call's name
   */
  public SeccompException(String object, String reason) {
    super(object + ": " + reason);
    this.object = object;
    this.reason = reason;
  }

  public String object() {
    return object;
  }

  public String reason() {
    return reason;
  }
}

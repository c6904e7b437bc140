package brig.sandbox;

import java.util.Objects;

/**
 * A refusal or failure, told once at the edge as {@code step: object: cause; remedy}.
 *
 * <p>The text may be shown to users and contains nothing secret.
 */
public final class BrigException extends Exception {
  private static final long serialVersionUID = 1L;

  /** What a client can make of it; the names are those of the gRPC status codes. */
  public enum Kind {
    INVALID_ARGUMENT,
    NOT_FOUND,
    ALREADY_EXISTS,
    PERMISSION_DENIED,
    FAILED_PRECONDITION,
    RESOURCE_EXHAUSTED,
    DEADLINE_EXCEEDED,
    UNIMPLEMENTED,
    UNAVAILABLE,
    INTERNAL,
    UNKNOWN
  }

  private final Kind kind;
  private final String step;
  private final String object;
  private final String reason;
  private final String remedy;

  /**
   * @param step what was being done, for example {@code "parse config.json"}
   * @param object what it was done to, for example {@code "linux.namespaces[2].type"}
   * @param reason why it failed
   * @param remedy what the reader can do, or empty
   */
  public BrigException(Kind kind, String step, String object, String reason, String remedy) {
    super(text(step, object, reason, remedy));
    this.kind = Objects.requireNonNull(kind);
    this.step = step;
    this.object = object;
    this.reason = reason;
    this.remedy = remedy;
  }

  private static String text(String step, String object, String reason, String remedy) {
    StringBuilder text = new StringBuilder(step);
    if (!object.isEmpty()) {
      text.append(": ").append(object);
    }
    text.append(": ").append(reason);
    if (!remedy.isEmpty()) {
      text.append("; ").append(remedy);
    }
    return text.toString();
  }

  public Kind kind() {
    return kind;
  }

  public String step() {
    return step;
  }

  public String object() {
    return object;
  }

  public String reason() {
    return reason;
  }

  public String remedy() {
    return remedy;
  }
}

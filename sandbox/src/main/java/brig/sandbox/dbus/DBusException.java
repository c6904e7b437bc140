package brig.sandbox.dbus;

/** Why a conversation over D-Bus did not come to its end. */
public sealed class DBusException extends Exception {
  private static final long serialVersionUID = 1L;

  DBusException(String message) {
    super(message);
  }

  /** The other side refused: an error message with a name. */
  public static final class Refused extends DBusException {
    private static final long serialVersionUID = 1L;

    private final String name;

    Refused(String name, String text) {
      super(text.isEmpty() ? name : text);
      this.name = name;
    }

    /** As {@code org.freedesktop.systemd1.UnitExists}. */
    public String name() {
      return name;
    }
  }

  /** No answer in time. */
  public static final class Late extends DBusException {
    private static final long serialVersionUID = 1L;

    Late(String message) {
      super(message);
    }
  }

  /** There is nobody to speak to, or not any more. */
  public static final class Unreachable extends DBusException {
    private static final long serialVersionUID = 1L;

    Unreachable(String message) {
      super(message);
    }
  }

  /** What came is not D-Bus. */
  public static final class Malformed extends DBusException {
    private static final long serialVersionUID = 1L;

    Malformed(String message) {
      super(message);
    }
  }
}

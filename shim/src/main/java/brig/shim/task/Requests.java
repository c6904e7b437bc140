package brig.shim.task;

import brig.proto.containerd.linux.runc.CreateOptions;
import brig.proto.containerd.runc.Options;
import brig.sandbox.BrigException;
import brig.sandbox.BrigException.Kind;
import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;

/** Checks and unpacks the parts of requests that several methods share. */
final class Requests {
  private static final int MAX_ID = 255;

  private Requests() {}

  /** An id becomes part of paths in the host: letters, digits, and {@code _.-} within. */
  static void checkId(String step, String id) throws BrigException {
    boolean good = !id.isEmpty() && id.length() <= MAX_ID && isAlphanumeric(id.charAt(0));
    for (int i = 0; good && i < id.length(); i++) {
      char c = id.charAt(i);
      good = isAlphanumeric(c) || c == '_' || c == '.' || c == '-';
    }
    if (!good || id.contains("..")) {
      throw new BrigException(
          Kind.INVALID_ARGUMENT,
          step,
          "id",
          "\"" + printable(id) + "\" is no identifier",
          "use at most " + MAX_ID + " letters, digits, '_', '.' and '-'");
    }
  }

  static void checkBundle(String bundle) throws BrigException {
    boolean good = bundle.startsWith("/");
    for (String part : bundle.split("/", -1)) {
      good &= !part.equals("..");
    }
    if (!good || bundle.indexOf('\0') >= 0) {
      throw new BrigException(
          Kind.INVALID_ARGUMENT,
          "create",
          "bundle",
          "\"" + printable(bundle) + "\" is no absolute path without ..",
          "");
    }
  }

  /**
   * The options of a Create. Those for other runtimes than runc's choose nothing here; an unknown
   * type with content is refused, since its sender expects an effect.
   */
  static Options runcOptions(Any options) throws BrigException {
    return switch (bareName(options)) {
      case "containerd.runc.v1.Options" -> parseRuncOptions(options);
      case "containerd.linux.runc.CreateOptions" -> ofOlderClient(options);
      case "", "runtimeoptions.v1.Options" -> Options.getDefaultInstance();
      default -> {
        if (!options.getValue().isEmpty()) {
          throw new BrigException(
              Kind.INVALID_ARGUMENT,
              "create",
              "options",
              "type " + printable(options.getTypeUrl()) + " is unknown",
              "use containerd.runc.v1.Options or runtimeoptions.v1.Options");
        }
        yield Options.getDefaultInstance();
      }
    };
  }

  /**
   * Of an older client's options, no_new_keyring alone has an effect here: the shim's cgroup was
   * entered at its start, the owners of stdio are those that the process has outside, pivot_root
   * isn't used, and all others speak of checkpoints, which a Create refuses by itself.
   */
  private static Options ofOlderClient(Any options) throws BrigException {
    try {
      CreateOptions older = CreateOptions.parseFrom(options.getValue());
      return Options.newBuilder().setNoNewKeyring(older.getNoNewKeyring()).build();
    } catch (InvalidProtocolBufferException e) {
      throw new BrigException(
          Kind.INVALID_ARGUMENT, "create", "options", "no containerd.linux.runc.CreateOptions", "");
    }
  }

  private static Options parseRuncOptions(Any options) throws BrigException {
    try {
      return Options.parseFrom(options.getValue());
    } catch (InvalidProtocolBufferException e) {
      throw new BrigException(
          Kind.INVALID_ARGUMENT, "create", "options", "no containerd.runc.v1.Options", "");
    }
  }

  /** A type's name with or without the prefix that protobuf libraries put before it. */
  private static String bareName(Any any) {
    String url = any.getTypeUrl();
    return url.substring(url.lastIndexOf('/') + 1);
  }

  private static boolean isAlphanumeric(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  }

  private static String printable(String text) {
    String cut = text.length() > 100 ? text.substring(0, 100) + "..." : text;
    return cut.replaceAll("[^\\x20-\\x7e]", "?");
  }
}

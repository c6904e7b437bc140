package brig.sandbox.spec;

import java.util.List;
import java.util.OptionalInt;

/** One hook; the time-out in seconds. */
public record HookSpec(String path, List<String> args, List<String> env, OptionalInt timeout) {
  public HookSpec {
    args = List.copyOf(args);
    env = List.copyOf(env);
  }
}

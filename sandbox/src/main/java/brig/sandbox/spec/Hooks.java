package brig.sandbox.spec;

import java.util.List;

/** {@code hooks}, by point. */
public record Hooks(
    List<HookSpec> prestart,
    List<HookSpec> createRuntime,
    List<HookSpec> createContainer,
    List<HookSpec> startContainer,
    List<HookSpec> poststart,
    List<HookSpec> poststop) {
  public Hooks {
    prestart = List.copyOf(prestart);
    createRuntime = List.copyOf(createRuntime);
    createContainer = List.copyOf(createContainer);
    startContainer = List.copyOf(startContainer);
    poststart = List.copyOf(poststart);
    poststop = List.copyOf(poststop);
  }

  public static final Hooks NONE =
      new Hooks(List.of(), List.of(), List.of(), List.of(), List.of(), List.of());
}

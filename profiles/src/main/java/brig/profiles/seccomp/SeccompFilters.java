package brig.profiles.seccomp;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Collection;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * Compiles profiles, each one once: the last {@value #CACHED} programs are kept by the digest of
 * what they were made from. Safe for use by many threads.
 */
public final class SeccompFilters {
  private static final int CACHED = 64;

  private final Map<String, CompiledFilter> cache =
      new LinkedHashMap<>(CACHED, 0.75f, true) {
        private static final long serialVersionUID = 1L;

        @Override
        protected boolean removeEldestEntry(Map.Entry<String, CompiledFilter> eldest) {
          return size() > CACHED;
        }
      };

  /** The filter of a profile that a spec brings. */
  public CompiledFilter compile(SeccompProfile profile, Machine machine) throws SeccompException {
    String digest = digest(canonical(profile), machine);
    CompiledFilter cached = cached(digest);
    if (cached != null) {
      return cached;
    }
    Translation.Translated translated = Translation.translate(profile, machine);
    return keep(
        new CompiledFilter(
            Compiler.compile(translated.policy()), flags(profile), digest, translated.notes()));
  }

  /**
   * The filter that applies where a spec brings none.
   *
   * @param capabilities names ({@code CAP_...}) of the bounding set; some calls are only of use,
   *     and only permitted, with one
   */
  public CompiledFilter builtin(Collection<String> capabilities, Machine machine)
      throws SeccompException {
    String digest = digest("built-in " + new TreeSet<>(capabilities), machine);
    CompiledFilter cached = cached(digest);
    if (cached != null) {
      return cached;
    }
    Policy policy = BuiltinProfile.policy(capabilities, machine);
    return keep(new CompiledFilter(Compiler.compile(policy), 0, digest, List.of()));
  }

  private synchronized @Nullable CompiledFilter cached(String digest) {
    return cache.get(digest);
  }

  private synchronized CompiledFilter keep(CompiledFilter filter) {
    cache.put(filter.digest(), filter);
    return filter;
  }

  private static int flags(SeccompProfile profile) throws SeccompException {
    int flags = 0;
    for (FilterFlag flag : profile.flags()) {
      switch (flag) {
        // The filter is installed by a process with one thread: there is nobody to synchronise.
        case TSYNC -> {}
        case LOG, SPEC_ALLOW -> flags |= flag.number();
        case WAIT_KILLABLE_RECV -> {
          if (profile.listenerPath().isEmpty()) {
            throw new SeccompException(flag.specName(), "needs a listenerPath");
          }
          flags |= flag.number();
        }
      }
    }
    return flags;
  }

  /** Every field with its length before it, so that equal texts are equal profiles. */
  private static String canonical(SeccompProfile profile) {
    StringBuilder text = new StringBuilder();
    put(text, profile.defaultAction().specName());
    put(text, profile.defaultErrno().toString());
    profile.architectures().forEach(architecture -> put(text, architecture.specName()));
    put(text, "flags");
    profile.flags().stream().sorted().forEach(flag -> put(text, flag.specName()));
    // Only whether there is an agent changes the program.
    put(text, "listener " + !profile.listenerPath().isEmpty());
    for (SyscallRule rule : profile.syscalls()) {
      put(text, "rule " + rule.names().size());
      rule.names().forEach(name -> put(text, name));
      put(text, rule.action().specName());
      put(text, rule.errno().toString());
      rule.arguments().forEach(argument -> put(text, argument.toString()));
    }
    return text.toString();
  }

  private static void put(StringBuilder text, String field) {
    text.append(field.length()).append(':').append(field);
  }

  private static String digest(String what, Machine machine) {
    try {
      MessageDigest sha = MessageDigest.getInstance("SHA-256");
      byte[] text = (machine.uname() + " " + what).getBytes(StandardCharsets.UTF_8);
      return HexFormat.of().formatHex(sha.digest(text));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }
}

package brig.sandbox.spec;

import java.util.List;

/** {@code linux.intelRdt}. */
public record IntelRdtSpec(
    String closId,
    List<String> schemata,
    String l3CacheSchema,
    String memBwSchema,
    boolean enableMonitoring,
    boolean enableCmt,
    boolean enableMbm) {
  public IntelRdtSpec {
    schemata = List.copyOf(schemata);
  }
}

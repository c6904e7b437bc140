package brig.sandbox.plan;

import java.util.List;

/** Sizes of huge pages that x86-64 and arm64 (with base pages of 4, 16 and 64 KiB) have. */
final class HugePages {
  static final List<String> SIZES = List.of("64KB", "2MB", "32MB", "512MB", "1GB", "16GB", "64GB");

  private HugePages() {}
}

package brig.profiles.seccomp;

import java.util.List;

/**
 * A filter ready for {@code seccomp(2)}. The array belongs to the filter and is never changed.
 *
 * @param program struct sock_filter[], little endian
 * @param flags SECCOMP_FILTER_FLAG_*
 * @param digest SHA-256 of what it was made from, in hex
 * @param notes what of the profile means nothing on this machine
 */
@SuppressWarnings("ArrayRecordComponent") // handed on as it is; nobody compares filters
public record CompiledFilter(byte[] program, int flags, String digest, List<String> notes) {
  public CompiledFilter {
    notes = List.copyOf(notes);
  }
}

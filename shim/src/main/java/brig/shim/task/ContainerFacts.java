package brig.shim.task;

import brig.proto.plan.LaunchPlan;
import brig.proto.state.Asked;
import brig.proto.state.ReadBack;
import com.google.protobuf.ByteString;
import com.google.protobuf.InvalidProtocolBufferException;
import java.time.Instant;
import java.util.List;

/**
 * What Create settled about a container for its whole life.
 *
 * @param startTime field 22 of init's /proc stat, so that its pid can't be mistaken for another's
 * @param planBytes the {@link LaunchPlan} as it was carried out
 * @param notes what was granted differently from what was asked
 * @param asked what config.json asked for
 * @param readBack what the kernel said before the program began, and when it had begun
 */
public record ContainerFacts(
    String bundle,
    Streams streams,
    long startTime,
    ByteString planBytes,
    List<String> notes,
    String specSha256,
    Instant createdAt,
    Asked asked,
    ReadBack readBack) {
  public ContainerFacts {
    notes = List.copyOf(notes);
  }

  /** About how many bytes a keeper holds of it. */
  long weight() {
    return weight(planBytes.size(), notes);
  }

  /** The same before there is a container. */
  static long weight(int planBytes, List<String> notes) {
    return planBytes + notes.stream().mapToLong(String::length).sum();
  }

  ContainerFacts with(ReadBack next) {
    return new ContainerFacts(
        bundle, streams, startTime, planBytes, notes, specSha256, createdAt, asked, next);
  }

  /** Parsed anew each time, since a plan is needed seldom and held by every container. */
  public LaunchPlan plan() {
    try {
      return LaunchPlan.parseFrom(planBytes);
    } catch (InvalidProtocolBufferException e) {
      throw new IllegalStateException("own plan can't be parsed", e);
    }
  }
}

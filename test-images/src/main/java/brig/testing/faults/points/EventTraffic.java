package brig.testing.faults.points;

import brig.testing.faults.points.Relay.Sink;
import com.google.protobuf.ByteString;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;

/** The frames between one keeper and containerd's service of events: ttrpc, one event in flight. */
final class EventTraffic implements Relay.Traffic {

  private static final int HEADER = 10;
  private static final byte REQUEST = 1;

  /** The keeper gives containerd five seconds to take an event. */
  private static final Duration PATIENCE = Duration.ofSeconds(3);

  private final Map<String, Watch> watches;
  private final Map<Integer, Watch> unanswered = new HashMap<>();

  /**
   * @param watches by the pod's group, which is the name of its one container
   */
  EventTraffic(Map<String, Watch> watches) {
    this.watches = watches;
  }

  @Override
  public boolean up(byte[] frame, Sink sink) throws IOException {
    int stream = ByteBuffer.wrap(frame).getInt(Integer.BYTES);
    if (frame[2 * Integer.BYTES] == REQUEST) {
      Wire request = Wire.of(ByteString.copyFrom(frame, HEADER, frame.length - HEADER));
      Wire envelope = request.message(3).message(1);
      Wire event = envelope.message(4).message(2);
      Watch watch = watches.get(event.text(1));
      if (watch != null && watch.isEvent(envelope.text(3))) {
        if (watch.endsAt(Moment.EVENT_QUEUED, 0)) {
          long begin = System.nanoTime();
          watch.stay();
          if (System.nanoTime() - begin > PATIENCE.toNanos()) {
            // The keeper may have given this attempt up: its next one counts.
            return false;
          }
        }
        synchronized (unanswered) {
          unanswered.put(stream, watch);
        }
      }
    }
    sink.write(frame);
    return true;
  }

  @Override
  public boolean down(byte[] frame, Sink sink) throws IOException {
    sink.write(frame);
    Watch watch;
    synchronized (unanswered) {
      watch = unanswered.remove(ByteBuffer.wrap(frame).getInt(Integer.BYTES));
    }
    if (watch != null && watch.endsAt(Moment.EVENT_ACKNOWLEDGED, 0)) {
      watch.pass();
    }
    return true;
  }
}

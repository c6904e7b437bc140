package brig.testing.faults.points;

import brig.testing.faults.points.Relay.Sink;
import com.google.protobuf.ByteString;
import java.io.IOException;
import java.util.Map;
import java.util.Optional;

/**
 * The frames between one keeper and brigd, as native/proto/brig/keeper/v1/keeper.proto has them.
 */
final class KeeperTraffic implements Relay.Traffic {

  private static final int HEADER = 4;

  private final Map<String, Watch> watches;
  private volatile String pod = "";
  private volatile int keeper;

  /**
   * @param watches by the pod's group
   */
  KeeperTraffic(Map<String, Watch> watches) {
    this.watches = watches;
  }

  private static Wire message(byte[] frame) {
    return Wire.of(ByteString.copyFrom(frame, HEADER, frame.length - HEADER));
  }

  /** Somebody may begin to watch at any time. */
  private Optional<Watch> watch() {
    Optional<Watch> watch = Optional.ofNullable(watches.get(pod));
    watch.ifPresent(found -> found.keeper(keeper));
    return watch;
  }

  @Override
  public boolean up(byte[] frame, Sink sink) throws IOException {
    Wire message = message(frame);
    if (keeper == 0) {
      Wire hello = message.message(1);
      pod = hello.text(7);
      keeper = (int) hello.number(9);
      sink.write(frame);
      return true;
    }
    Optional<Watch> watch = watch();
    if (watch.isPresent() && message.has(1)) {
      return request(watch.get(), message.message(1), frame, sink);
    } else if (watch.isPresent() && message.has(2)) {
      return result(watch.get(), message.message(2), frame, sink);
    }
    sink.write(frame);
    return true;
  }

  private static boolean request(Watch watch, Wire request, byte[] frame, Sink sink)
      throws IOException {
    if (watch.requested(request.text(4), request.number(1))) {
      if (watch.endsAt(Moment.REQUEST_STORED, 0)) {
        watch.stay();
        return false;
      }
      if (watch.endsAt(Moment.REQUEST_HALVED, 0)) {
        return half(watch, frame, sink);
      }
    }
    sink.write(frame);
    return true;
  }

  private static boolean result(Watch watch, Wire result, byte[] frame, Sink sink)
      throws IOException {
    if (watch.isAbout(result.number(1)) && watch.endsAt(Moment.RESULT_STORED, result.number(2))) {
      watch.stay();
      return false;
    }
    sink.write(frame);
    return true;
  }

  @Override
  public boolean down(byte[] frame, Sink sink) throws IOException {
    Wire message = message(frame);
    Optional<Watch> watch = watch();
    if (watch.isPresent() && message.has(2)) {
      return step(watch.get(), message.message(2), frame, sink);
    }
    if (watch.isPresent() && message.has(3)) {
      return reply(watch.get(), message.message(3), frame, sink);
    }
    sink.write(frame);
    return true;
  }

  private static boolean step(Watch watch, Wire step, byte[] frame, Sink sink) throws IOException {
    long number = step.number(2);
    if (watch.isAbout(step.number(1))) {
      watch.step((int) number);
      if (watch.endsAt(Moment.STEP_SENT, number)) {
        watch.stay();
        return false;
      }
      if (watch.endsAt(Moment.STEP_HALVED, number)) {
        return half(watch, frame, sink);
      }
      if (watch.endsAt(Moment.STEP_ARRIVED, number)) {
        return toStopped(watch, frame, sink);
      }
    }
    sink.write(frame);
    return true;
  }

  private static boolean reply(Watch watch, Wire reply, byte[] frame, Sink sink)
      throws IOException {
    if (watch.isAbout(reply.number(1))) {
      watch.replied(reply.message(5).text(1));
      if (watch.endsAt(Moment.REPLY_SENT, 0)) {
        watch.stay();
        return false;
      }
      if (watch.endsAt(Moment.REPLY_HALVED, 0)) {
        return half(watch, frame, sink);
      }
      if (watch.endsAt(Moment.REPLY_ARRIVED, 0)) {
        return toStopped(watch, frame, sink);
      }
    }
    sink.write(frame);
    return true;
  }

  private static boolean half(Watch watch, byte[] frame, Sink sink) throws IOException {
    sink.write(frame, frame.length / 2);
    watch.stay();
    return false;
  }

  private static boolean toStopped(Watch watch, byte[] frame, Sink sink) throws IOException {
    watch.stopKeeper();
    sink.write(frame);
    watch.stay();
    return false;
  }

  @Override
  public void ended() {
    watch().ifPresent(Watch::wakeKeeper);
  }
}

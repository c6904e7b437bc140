package brig.shim.task;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import brig.proto.plan.LaunchPlan;
import brig.proto.state.Asked;
import brig.proto.state.Phase;
import brig.proto.state.ReadBack;
import brig.proto.state.StoredContainer;
import brig.sandbox.lifecycle.ExecProcess;
import brig.sandbox.lifecycle.Exit;
import brig.sandbox.lifecycle.Lifecycle;
import com.google.protobuf.ByteString;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.junit.jupiter.api.Test;

class StateCodecTest {
  @Property
  void whatIsWrittenIsReadBack(@ForAll("states") ContainerState state) throws StateException {
    assertThat(StateCodec.decode(state.id(), StateCodec.encode(state))).isEqualTo(state);
  }

  @Property
  void anyBytesAreAStateOrARefusal(@ForAll byte[] bytes) {
    try {
      assertThat(StateCodec.decode("c", ByteString.copyFrom(bytes)).id()).isEqualTo("c");
    } catch (StateException e) {
      assertThat(e).hasMessageContaining("state of").isNotNull();
    }
  }

  @Test
  void anotherVersionIsRefused() {
    ByteString bytes = StoredContainer.newBuilder().setVersion(2).build().toByteString();
    assertThatThrownBy(() -> StateCodec.decode("c", bytes)).hasMessage("state of c has version 2");
  }

  @Test
  void aPlanThatIsNoneIsRefusedBeforeAnybodyNeedsIt() {
    ByteString bytes =
        StoredContainer.newBuilder()
            .setVersion(StateCodec.VERSION)
            .setPhase(Phase.CREATED)
            .setPlan(ByteString.copyFrom(new byte[] {(byte) 0xff}))
            .build()
            .toByteString();
    assertThatThrownBy(() -> StateCodec.decode("c", bytes))
        .isInstanceOf(StateException.class)
        .hasMessage("plan in the state of c is no message");
  }

  @Provide
  Arbitrary<ContainerState> states() {
    Arbitrary<Instant> times =
        Arbitraries.longs()
            .between(0, 4_000_000_000_000L)
            .map(millis -> Instant.ofEpochMilli(millis));
    Arbitrary<Optional<Exit>> exits =
        Combinators.combine(Arbitraries.integers().between(0, 255), times).as(Exit::new).optional();
    Arbitrary<Streams> streams =
        Combinators.combine(
                Arbitraries.strings().ofMaxLength(20),
                Arbitraries.strings().ofMaxLength(20),
                Arbitraries.strings().ofMaxLength(20),
                Arbitraries.of(true, false))
            .as(Streams::new);
    Arbitrary<ExecFacts> execFacts =
        Combinators.combine(
                streams,
                Arbitraries.strings().ofMaxLength(30).map(ByteString::copyFromUtf8),
                Arbitraries.integers().between(0, 500),
                Arbitraries.integers().between(0, 500),
                Arbitraries.of(true, false))
            .as(ExecFacts::new);
    Arbitrary<Map<String, ExecFacts>> execs =
        Arbitraries.maps(Arbitraries.strings().alpha().ofMinLength(1).ofMaxLength(5), execFacts)
            .ofMaxSize(3);
    Arbitrary<ExecProcess> processes =
        Combinators.combine(
                Arbitraries.of(ExecProcess.State.class),
                Arbitraries.integers().between(0, 99999),
                exits)
            .as(ExecProcess::new);
    Arbitrary<Lifecycle.State> states =
        Arbitraries.of(
            Lifecycle.State.CREATED,
            Lifecycle.State.RUNNING,
            Lifecycle.State.PAUSED,
            Lifecycle.State.STOPPED);
    return Combinators.combine(states, exits, execs, processes, streams, times)
        .as((state, exit, facts, process, initStreams, time) -> {
          Map<String, ExecProcess> all =
              facts.keySet().stream().collect(Collectors.toMap(id -> id, id -> process));
          ContainerFacts container =
              new ContainerFacts(
                  "/bundle",
                  initStreams,
                  7,
                  LaunchPlan.newBuilder().setContainerId("c1").build().toByteString(),
                  List.of("note"),
                  "abcd",
                  Instant.ofEpochSecond(time.getEpochSecond()),
                  Asked.newBuilder().setUser("0:0").build(),
                  ReadBack.newBuilder().setMountOrder("detached").build());
          return new ContainerState(
              new Lifecycle("c1", state, 4711, exit, all), container, facts, exit.isPresent());
        });
  }
}

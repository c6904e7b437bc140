package brig.shim.command;

import brig.proto.keeper.Drops;
import brig.sandbox.lifecycle.Exit;
import brig.shim.relay.CommandOutput;
import brig.shim.task.ContainerState;
import brig.shim.task.Pod;
import brig.shim.task.Statuses;
import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.StringWriter;
import java.time.Clock;
import java.time.Duration;
import java.util.List;

/** {@code brig ps}. */
final class PsCommand {
  private static final int WIDEST = 64;

  private final List<Pod> pods;
  private final Clock clock;

  PsCommand(List<Pod> pods, Clock clock) {
    this.pods = pods;
    this.clock = clock;
  }

  int run(List<String> arguments, CommandOutput output) throws UsageException, IOException {
    if (arguments.isEmpty()) {
      output.out(table());
    } else if (arguments.equals(List.of("--json"))) {
      output.out(json());
    } else {
      throw new UsageException("ps takes no argument but --json");
    }
    return Commands.DONE;
  }

  private String table() {
    Table table =
        new Table(WIDEST).row("NAMESPACE", "ID", "POD", "CLASS", "STATE", "PID", "EXECS", "AGE");
    for (Pod pod : pods) {
      for (ContainerState state : pod.states()) {
        table.row(
            pod.namespace(),
            state.id(),
            pod.group().equals(state.id()) ? "-" : pod.group(),
            pod.className(),
            stateText(state) + (pod.isAway() ? ", keeper away" : ""),
            Integer.toString(state.lifecycle().pid()),
            Integer.toString(state.lifecycle().execs().size()),
            age(state));
      }
    }
    return table.text() + dropped();
  }

  /** One line for each pod that had to drop something. */
  private String dropped() {
    StringBuilder text = new StringBuilder();
    for (Pod pod : pods) {
      Drops drops = pod.drops();
      if (!drops.equals(Drops.getDefaultInstance())) {
        text.append(pod).append(" dropped ").append(drops.getEvents()).append(" events, ");
        text.append(drops.getLogLines()).append(" log lines, the rest of ");
        text.append(drops.getOutputs()).append(" outputs\n");
      }
    }
    return text.toString();
  }

  private static String stateText(ContainerState state) {
    String name = Statuses.name(state);
    String oom = state.oomKilled() ? ", out of memory" : "";
    return state
        .lifecycle()
        .exit()
        .map(exit -> name + " (" + exit.status() + oom + ")")
        .orElse(name);
  }

  private String age(ContainerState state) {
    long seconds =
        Math.max(0, Duration.between(state.facts().createdAt(), clock.instant()).toSeconds());
    if (seconds < 120) {
      return seconds + "s";
    } else if (seconds < 2 * 3600) {
      return seconds / 60 + "m";
    } else if (seconds < 48 * 3600) {
      return seconds / 3600 + "h";
    }
    return seconds / 86400 + "d";
  }

  private String json() throws IOException {
    StringWriter text = new StringWriter();
    try (JsonGenerator json = new JsonFactory().createGenerator(text)) {
      json.useDefaultPrettyPrinter();
      json.writeStartArray();
      for (Pod pod : pods) {
        for (ContainerState state : pod.states()) {
          write(json, pod, state);
        }
      }
      json.writeEndArray();
    }
    return text + "\n";
  }

  private static void write(JsonGenerator json, Pod pod, ContainerState state) throws IOException {
    json.writeStartObject();
    json.writeStringField("namespace", pod.namespace());
    json.writeStringField("id", state.id());
    json.writeStringField("pod", pod.group());
    json.writeStringField("class", pod.className());
    json.writeStringField("containerd", pod.containerdAddress());
    json.writeStringField("state", Statuses.name(state));
    json.writeNumberField("pid", state.lifecycle().pid());
    json.writeNumberField("keeper", pod.keeperPid());
    json.writeBooleanField("keeperConnected", !pod.isAway());
    json.writeStringField("created", state.facts().createdAt().toString());
    json.writeBooleanField("oomKilled", state.oomKilled());
    if (state.lifecycle().exit().isPresent()) {
      Exit exit = state.lifecycle().exit().get();
      json.writeNumberField("exitStatus", exit.status());
      json.writeStringField("exited", exit.at().toString());
    }
    json.writeObjectFieldStart("dropped");
    json.writeNumberField("events", pod.drops().getEvents());
    json.writeNumberField("logLines", pod.drops().getLogLines());
    json.writeNumberField("outputs", pod.drops().getOutputs());
    json.writeEndObject();
    json.writeArrayFieldStart("execs");
    for (String id : state.lifecycle().execs().keySet().stream().sorted().toList()) {
      json.writeString(id);
    }
    json.writeEndArray();
    json.writeEndObject();
  }
}

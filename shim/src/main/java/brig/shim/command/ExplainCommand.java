package brig.shim.command;

import brig.proto.plan.LaunchPlan;
import brig.proto.plan.SeccompFilter;
import brig.sandbox.BrigException;
import brig.sandbox.BrigException.Kind;
import brig.shim.relay.CommandOutput;
import brig.shim.task.ContainerState;
import brig.shim.task.GoneContainer;
import brig.shim.task.Pod;
import brig.shim.task.PodName;
import brig.shim.task.Statuses;
import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.google.protobuf.ByteString;
import com.google.protobuf.TextFormat;
import java.io.IOException;
import java.io.StringWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** {@code brig explain}. */
final class ExplainCommand {
  private static final int WIDEST = 40;

  private enum Form {
    TABLE,
    JSON,
    PLAN
  }

  private record Found(PodName pod, ContainerState state, Optional<GoneContainer> gone) {
    List<Dimension> dimensions() {
      return gone.map(Explanation::of).orElseGet(() -> Explanation.of(state));
    }

    String status() {
      return gone.isPresent() ? "gone" : Statuses.ofInit(state).name().toLowerCase(Locale.ROOT);
    }
  }

  private final List<Pod> pods;
  private final List<GoneContainer> gone;

  ExplainCommand(List<Pod> pods, List<GoneContainer> gone) {
    this.pods = pods;
    this.gone = gone;
  }

  int run(List<String> arguments, CommandOutput output)
      throws UsageException, BrigException, IOException {
    Optional<String> id = Optional.empty();
    Optional<String> namespace = Optional.empty();
    Form form = Form.TABLE;
    for (int i = 0; i < arguments.size(); i++) {
      String argument = arguments.get(i);
      if (argument.equals("--json")) {
        form = Form.JSON;
      } else if (argument.equals("--plan")) {
        form = Form.PLAN;
      } else if (argument.equals("--namespace") || argument.equals("-n")) {
        i++;
        if (i == arguments.size()) {
          throw new UsageException(argument + " lacks its value");
        }
        namespace = Optional.of(arguments.get(i));
      } else if (argument.startsWith("-") || id.isPresent()) {
        throw new UsageException("explain doesn't know \"" + argument + "\"");
      } else {
        id = Optional.of(argument);
      }
    }
    if (id.isEmpty()) {
      throw new UsageException("explain lacks the id of a container");
    }
    Found found = find(id.get(), namespace);
    output.out(
        switch (form) {
          case TABLE -> table(found);
          case JSON -> json(found);
          case PLAN -> TextFormat.printer().printToString(readable(found.state().facts().plan()));
        });
    return Commands.DONE;
  }

  private Found find(String id, Optional<String> namespace) throws BrigException {
    List<Found> found = new ArrayList<>();
    for (Pod pod : pods) {
      if (namespace.isEmpty() || namespace.get().equals(pod.namespace())) {
        pod.states().stream()
            .filter(state -> state.id().equals(id))
            .forEach(state -> found.add(new Found(pod.name(), state, Optional.empty())));
      }
    }
    if (found.isEmpty()) {
      latestGone(id, namespace).ifPresent(found::add);
    }
    if (found.isEmpty()) {
      throw new BrigException(
          Kind.NOT_FOUND, "explain", id, "no such container", "brig ps lists those there are");
    }
    if (found.size() > 1) {
      throw new BrigException(
          Kind.INVALID_ARGUMENT,
          "explain",
          id,
          "there are " + found.size() + " containers of this id",
          "name one by --namespace");
    }
    return found.getFirst();
  }

  private Optional<Found> latestGone(String id, Optional<String> namespace) {
    return gone.reversed().stream()
        .filter(last -> last.state().id().equals(id))
        .filter(last -> namespace.isEmpty() || namespace.get().equals(last.pod().namespace()))
        .findFirst()
        .map(last -> new Found(last.pod(), last.state(), Optional.of(last)));
  }

  private static String table(Found found) {
    ContainerState state = found.state();
    StringBuilder text = new StringBuilder();
    text.append(state.id())
        .append(": class ")
        .append(found.pod().className())
        .append(", ")
        .append(found.status())
        .append(", pid ")
        .append(state.lifecycle().pid())
        .append(", containerd namespace ")
        .append(found.pod().namespace())
        .append("\n\n");
    Table table = new Table(WIDEST).row("", "ASKED", "GRANTED", "THE KERNEL SAYS");
    List<Dimension> dimensions = found.dimensions();
    for (Dimension dimension : dimensions) {
      table.row(
          dimension.name(),
          dimension.asked(),
          dimension.granted().equals(dimension.asked()) ? "as asked" : dimension.granted(),
          dimension.kernel().equals(dimension.granted()) ? "as granted" : dimension.kernel());
    }
    text.append(table.text());
    appendReasons(text, dimensions, state);
    return text.toString();
  }

  private static void appendReasons(
      StringBuilder text, List<Dimension> dimensions, ContainerState state) {
    text.append('\n');
    for (Dimension dimension : dimensions) {
      if (!dimension.why().isEmpty()) {
        text.append(dimension.name().strip()).append(": ").append(dimension.why()).append('\n');
      }
    }
    for (String note : state.facts().notes()) {
      text.append(note).append('\n');
    }
  }

  private static String json(Found found) throws IOException {
    StringWriter text = new StringWriter();
    try (JsonGenerator json = new JsonFactory().createGenerator(text)) {
      json.useDefaultPrettyPrinter();
      json.writeStartObject();
      json.writeStringField("id", found.state().id());
      json.writeStringField("namespace", found.pod().namespace());
      json.writeStringField("pod", found.pod().group());
      json.writeStringField("class", found.pod().className());
      json.writeStringField("state", found.status());
      json.writeNumberField("pid", found.state().lifecycle().pid());
      json.writeStringField("configSha256", found.state().facts().specSha256());
      json.writeArrayFieldStart("dimensions");
      for (Dimension dimension : found.dimensions()) {
        json.writeStartObject();
        json.writeStringField("name", dimension.name().strip());
        json.writeStringField("asked", dimension.asked());
        json.writeStringField("granted", dimension.granted());
        json.writeStringField("why", dimension.why());
        json.writeStringField("kernel", dimension.kernel());
        json.writeEndObject();
      }
      json.writeEndArray();
      json.writeArrayFieldStart("notes");
      for (String note : found.state().facts().notes()) {
        json.writeString(note);
      }
      json.writeEndArray();
      json.writeEndObject();
    }
    return text + "\n";
  }

  /** The plan with its filters named instead of dumped. */
  private static LaunchPlan readable(LaunchPlan plan) {
    LaunchPlan.Builder shown = plan.toBuilder();
    for (SeccompFilter.Builder filter :
        shown.getCreateBuilder().getProcessBuilder().getSeccompBuilderList()) {
      int instructions = filter.getProgram().size() / 8;
      filter.setProgram(ByteString.copyFromUtf8("<" + instructions + " instructions>"));
    }
    return shown.build();
  }
}

package brig.shim.command;

import brig.proto.keeper.Command;
import brig.sandbox.BrigException;
import brig.shim.metrics.Exposition;
import brig.shim.relay.CommandOutput;
import brig.shim.task.GoneContainer;
import brig.shim.task.Pod;
import java.io.IOException;
import java.time.Clock;
import java.util.List;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * Finds the command that was asked for and runs it.
 *
 * <p>Exit codes: 0 done, 1 could not be done, 2 used wrongly.
 */
public final class Commands {
  static final int DONE = 0;
  static final int FAILED = 1;
  static final int USAGE = 2;

  private static final String HELP =
      """
      usage: brig COMMAND [ARGUMENT...]

        ps [--json]             containers that Brig runs on this node
        explain ID [--namespace NS] [--json | --plan]
                                what a container asked for, what it was granted and why, and what the
                                kernel says it has; --plan: the launch plan as it was carried out.
                                Also for the latest containers that are gone
        metrics                 what the daemon counts and measures, in Prometheus' text format
        version                 versions of the daemon and of its contracts
        help                    this
      """;

  private final Supplier<List<Pod>> pods;
  private final Supplier<List<GoneContainer>> gone;
  private final String version;
  private final Function<Exposition.Format, String> metrics;
  private final Clock clock;

  /**
   * @param gone containers that are no more, the latest at the end
   * @param version what {@code brig version} says
   */
  public Commands(
      Supplier<List<Pod>> pods,
      Supplier<List<GoneContainer>> gone,
      String version,
      Function<Exposition.Format, String> metrics,
      Clock clock) {
    this.pods = pods;
    this.gone = gone;
    this.version = version;
    this.metrics = metrics;
    this.clock = clock;
  }

  public int run(Command command, CommandOutput output) throws IOException {
    List<String> arguments = command.getArgsList();
    String name = arguments.isEmpty() ? "" : arguments.getFirst();
    List<String> rest = arguments.isEmpty() ? List.of() : arguments.subList(1, arguments.size());
    try {
      return switch (name) {
        case "ps" -> new PsCommand(pods.get(), clock).run(rest, output);
        case "explain" -> new ExplainCommand(pods.get(), gone.get()).run(rest, output);
        case "metrics" -> print(metrics.apply(Exposition.Format.PROMETHEUS), output);
        case "version", "--version", "-v" -> print(version, output);
        case "help", "--help", "-h" -> print(HELP, output);
        case "" -> {
          output.err(HELP);
          yield USAGE;
        }
        default -> throw new UsageException("unknown command \"" + name + "\"");
      };
    } catch (UsageException e) {
      output.err("brig: " + e.getMessage() + "; see brig help\n");
      return USAGE;
    } catch (BrigException e) {
      output.err("brig: " + e.getMessage() + "\n");
      return FAILED;
    }
  }

  private static int print(String text, CommandOutput output) throws IOException {
    output.out(text);
    return DONE;
  }
}

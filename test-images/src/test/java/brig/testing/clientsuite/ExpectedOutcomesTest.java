package brig.testing.clientsuite;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Command;
import brig.testing.Settings;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code test-images/client-suite}: what {@code compare} lets pass, and what the list promises. */
final class ExpectedOutcomesTest {

  private static final Path SUITE =
      Settings.fromProperties().home().resolve("test-images/client-suite");

  /** {@code Class.method} of the tests that hold what a skipped one would have shown. */
  private static final Pattern STAND_IN = Pattern.compile("([A-Z][A-Za-z]+Test)\\.([a-z]\\w+)");

  /** Before each line that the suite itself writes. */
  private static final String MARK = "\u0016";

  private static final String EXPECTED =
      """
      # what does not pass
      brig TestSkipped skip for a reason
      runc TestPassed fail for another reason
      both TestOfNoRuntime any whatever it is
      """;

  private final Path directory;

  ExpectedOutcomesTest(@TempDir Path directory) {
    this.directory = directory;
  }

  @Test
  void whatIsAsExpectedPasses() {
    Command.Result judged = judge(ran("TestPassed", "PASS"), ran("TestSkipped", "SKIP"), end());
    assertThat(judged.stdout())
        .contains("2 tests: 1 passed, 0 failed, 1 skipped")
        .contains(" 0 not");
    assertThat(judged.exitCode()).isZero();
  }

  @Test
  void aFailureThatIsNotExpectedFails() {
    differs("TestPassed: fail, expected: pass", ran("TestPassed", "FAIL"), end());
  }

  @Test
  void aFailureOfASubtestFails() {
    differs("TestPassed/a: fail", ran("TestPassed", "PASS"), ran("TestPassed/a", "FAIL"), end());
  }

  @Test
  void aPassThatIsNotExpectedFails() {
    differs("TestSkipped: pass, expected: skip", ran("TestSkipped", "PASS"), end());
  }

  @Test
  void aTestThatDoesNotEndFails() {
    differs("TestPassed: no outcome", MARK + "=== RUN   TestPassed\n", end());
    differs("TestOfNoRuntime: no outcome", MARK + "=== RUN   TestOfNoRuntime\n", end());
  }

  @Test
  void whatNoRuntimeDecidesIsNotJudged() {
    Command.Result judged =
        judge(ran("TestOfNoRuntime", "FAIL"), ran("TestOfNoRuntime/a", "FAIL"), end());
    assertThat(judged.exitCode()).as(judged.stdout()).isZero();
  }

  @Test
  void aSuiteThatDoesNotEndFails() {
    differs("the suite did not run to its end", ran("TestPassed", "PASS"));
  }

  @Test
  void aSuiteThatDoesNotBeginFails() {
    differs("no test has run", "");
  }

  @Test
  void whatATestPrintsBeforeItsOutcomeDoesNotHideIt() {
    differs(
        "TestPassed: fail",
        MARK + "=== RUN   TestPassed\noutput" + MARK + "--- FAIL: TestPassed (0.01s)\n",
        end());
  }

  @Test
  void theTestsThatStandInForSkippedOnesAreThere() throws IOException {
    Path tests = SUITE.resolveSibling("src/test/java/brig/testing/integration");
    Matcher names = STAND_IN.matcher(Files.readString(SUITE.resolve("expected.txt")));
    int found = 0;
    while (names.find()) {
      assertThat(tests.resolve(names.group(1) + ".java"))
          .content()
          .containsPattern("@Test\\s+void " + names.group(2) + "\\(");
      found++;
    }
    assertThat(found).isPositive();
  }

  private void differs(String words, String... output) {
    Command.Result judged = judge(output);
    assertThat(judged.stdout()).contains(words);
    assertThat(judged.exitCode()).isEqualTo(1);
  }

  private Command.Result judge(String... output) {
    try {
      Path expected = Files.writeString(directory.resolve("expected"), EXPECTED);
      Path written = Files.writeString(directory.resolve("output"), String.join("", output));
      return Command.of(
              SUITE.resolve("compare").toString(), "brig", expected.toString(), written.toString())
          .run();
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  private static String ran(String test, String outcome) {
    return MARK + "=== RUN   " + test + "\n" + MARK + "--- " + outcome + ": " + test + " (0.01s)\n";
  }

  private static String end() {
    return MARK + "PASS\n";
  }
}

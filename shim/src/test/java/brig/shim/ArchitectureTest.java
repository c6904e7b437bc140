package brig.shim;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import java.time.Clock;
import java.time.Instant;
import org.junit.jupiter.api.Test;

/** The arrows between modules and packages point one way: shim to sandbox to profiles. */
class ArchitectureTest {
  private static final JavaClasses CLASSES =
      new ClassFileImporter()
          .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
          .importPackages("brig.profiles", "brig.sandbox", "brig.shim");

  @Test
  void profilesKnowNothingOfSandboxAndShim() {
    noClasses()
        .that()
        .resideInAPackage("brig.profiles..")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage("brig.sandbox..", "brig.shim..", "brig.proto..")
        .check(CLASSES);
  }

  @Test
  void sandboxKnowsNothingOfShim() {
    noClasses()
        .that()
        .resideInAPackage("brig.sandbox..")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage(
            "brig.shim..", "io.grpc..", "brig.proto.containerd..", "brig.proto.state..")
        .check(CLASSES);
  }

  /** The host's clock may be set at any time: it is asked for times that are told, by these. */
  @Test
  void nothingIsDecidedByTheHostsClock() {
    noClasses()
        .that()
        .resideInAPackage("brig..")
        .should()
        .callMethod(System.class, "currentTimeMillis")
        .orShould()
        .callMethod(Instant.class, "now")
        .check(CLASSES);
    noClasses()
        .that()
        .doNotHaveFullyQualifiedName("brig.shim.log.Log")
        .and()
        .doNotHaveFullyQualifiedName("brig.shim.task.Events")
        .and()
        .doNotHaveFullyQualifiedName("brig.shim.task.CreateTask")
        .and()
        .doNotHaveFullyQualifiedName("brig.shim.task.StartTask")
        .and()
        .doNotHaveFullyQualifiedName("brig.shim.command.PsCommand")
        .should()
        .callMethod(Clock.class, "instant")
        .orShould()
        .callMethod(Clock.class, "millis")
        .check(CLASSES);
  }

  @Test
  void packagesHaveNoCycles() {
    slices().matching("brig.shim.(*)..").should().beFreeOfCycles().check(CLASSES);
    slices().matching("brig.sandbox.(*)..").should().beFreeOfCycles().check(CLASSES);
    slices().matching("brig.profiles.(*)..").should().beFreeOfCycles().check(CLASSES);
  }

  @Test
  void theRelayKnowsNothingOfTasksNorTasksOfTheDaemon() {
    noClasses()
        .that()
        .resideInAPackage("brig.shim.relay..")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage("brig.shim.task..", "brig.shim.rpc..", "brig.sandbox..", "io.grpc..")
        .check(CLASSES);
    noClasses()
        .that()
        .resideInAnyPackage("brig.shim.task..", "brig.shim.rpc..", "brig.shim.command..")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("brig.shim.daemon..")
        .check(CLASSES);
  }

  @Test
  void onlyTheGrpcDoorTouchesNettyAndNobodyAnObjectMapper() {
    noClasses()
        .that()
        .resideInAPackage("brig..")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage("com.fasterxml.jackson.databind..", "jnr..")
        .check(CLASSES);
    noClasses()
        .that()
        .resideInAPackage("brig..")
        .and()
        .resideOutsideOfPackage("brig.shim.grpc..")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage("io.netty..", "io.grpc.netty..")
        .check(CLASSES);
  }

  @Test
  void theGrpcDoorIsLoadedByNameAndKnowsNothingOfTasks() {
    noClasses()
        .that()
        .resideInAPackage("brig.shim..")
        .and()
        .resideOutsideOfPackage("brig.shim.grpc..")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("brig.shim.grpc..")
        .check(CLASSES);
    noClasses()
        .that()
        .resideInAPackage("brig.shim.grpc..")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage("brig.shim.task..", "brig.shim.rpc..", "brig.sandbox..")
        .check(CLASSES);
  }
}

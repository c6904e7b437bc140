package brig.testing.integration;

import brig.testing.Containerd;
import brig.testing.ContainerdVersion;
import brig.testing.Settings;
import java.util.stream.Stream;
import org.junit.jupiter.api.Named;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.ArgumentsProvider;
import org.junit.jupiter.params.support.ParameterDeclarations;

/**
 * One containerd per version for all test classes, started when first asked for and closed at the
 * end of the run.
 */
final class RunningContainerds {

  static final Settings SETTINGS = Settings.fromProperties();

  private RunningContainerds() {}

  private static Arguments running(ExtensionContext context, ContainerdVersion version) {
    Containerd containerd =
        context
            .getRoot()
            .getStore(ExtensionContext.Namespace.create(RunningContainerds.class))
            .computeIfAbsent(
                version, missing -> Containerd.start(SETTINGS, missing), Containerd.class);
    return Arguments.of(Named.of(version.toString(), containerd));
  }

  static final class Each implements ArgumentsProvider {
    @Override
    public Stream<? extends Arguments> provideArguments(
        ParameterDeclarations parameters, ExtensionContext context) {
      return SETTINGS.versions().stream().map(version -> running(context, version));
    }
  }

  /** The one whose shims may be called over gRPC, if it is among the run's. */
  static final class SpeakingGrpc implements ArgumentsProvider {
    @Override
    public Stream<? extends Arguments> provideArguments(
        ParameterDeclarations parameters, ExtensionContext context) {
      return SETTINGS.versions().stream()
          .filter(version -> version == ContainerdVersion.V1_7)
          .map(version -> running(context, version));
    }
  }

  static final class First implements ArgumentsProvider {
    @Override
    public Stream<? extends Arguments> provideArguments(
        ParameterDeclarations parameters, ExtensionContext context) {
      return SETTINGS.versions().stream().limit(1).map(version -> running(context, version));
    }
  }

  /** Those versions of the run that know Kubernetes' user namespaces. */
  static final class WithPodUserNamespaces implements ArgumentsProvider {
    @Override
    public Stream<? extends Arguments> provideArguments(
        ParameterDeclarations parameters, ExtensionContext context) {
      return SETTINGS.versions().stream()
          .filter(version -> version.atLeast(ContainerdVersion.V1_7))
          .map(version -> running(context, version));
    }
  }
}

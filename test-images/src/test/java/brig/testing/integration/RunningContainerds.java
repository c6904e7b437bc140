package brig.testing.integration;

import brig.testing.Containerd;
import brig.testing.ContainerdVersion;
import brig.testing.Docker;
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
    return Arguments.of(Named.of(version.toString(), containerd(context, version)));
  }

  private static Containerd containerd(ExtensionContext context, ContainerdVersion version) {
    return context
        .getRoot()
        .getStore(ExtensionContext.Namespace.create(RunningContainerds.class))
        .computeIfAbsent(version, missing -> Containerd.start(SETTINGS, missing), Containerd.class);
  }

  /** A Docker daemon for each of them. */
  static final class EachDocker implements ArgumentsProvider {
    @Override
    public Stream<? extends Arguments> provideArguments(
        ParameterDeclarations parameters, ExtensionContext context) {
      return SETTINGS.versions().stream()
          .map(version -> {
            Containerd containerd = containerd(context, version);
            Docker docker =
                context
                    .getRoot()
                    .getStore(ExtensionContext.Namespace.create(Docker.class))
                    .computeIfAbsent(version, missing -> Docker.start(containerd), Docker.class);
            return Arguments.of(Named.of(version.toString(), docker));
          });
    }
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

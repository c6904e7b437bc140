package brig.testing.integration;

import brig.testing.Settings;
import brig.testing.machine.Machine;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolver;

/**
 * A test class that runs against the test machine, whose cgroups are v2 alone and systemd's; its
 * constructor takes the running one, which all such classes share.
 */
@Target(ElementType.TYPE)
@Retention(RetentionPolicy.RUNTIME)
@Tag("machine")
@ExtendWith(OnMachine.Running.class)
@interface OnMachine {

  /** Boots it when it is first asked for; it is closed at the end of the run. */
  final class Running implements ParameterResolver {
    @Override
    public boolean supportsParameter(ParameterContext parameter, ExtensionContext context) {
      return parameter.getParameter().getType() == Machine.class;
    }

    @Override
    public Object resolveParameter(ParameterContext parameter, ExtensionContext context) {
      return context
          .getRoot()
          .getStore(ExtensionContext.Namespace.create(OnMachine.class))
          .computeIfAbsent(
              Machine.class, missing -> Machine.boot(Settings.fromProperties()), Machine.class);
    }
  }
}

package brig.testing.integration;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.ArgumentsSource;

/**
 * A test class that runs against each containerd version of the run; its constructor takes the
 * running one.
 */
@Target(ElementType.TYPE)
@Retention(RetentionPolicy.RUNTIME)
@Tag("integration")
@ParameterizedClass(name = "containerd {0}", autoCloseArguments = false)
@ArgumentsSource(RunningContainerds.Each.class)
@interface EachContainerd {}

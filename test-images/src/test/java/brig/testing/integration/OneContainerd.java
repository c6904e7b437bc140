package brig.testing.integration;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.ArgumentsSource;

/**
 * A test class of what no containerd version has a part in: it runs against the first of the run's
 * versions.
 */
@Target(ElementType.TYPE)
@Retention(RetentionPolicy.RUNTIME)
@Tag("integration")
@ParameterizedClass(name = "containerd {0}", autoCloseArguments = false)
@ArgumentsSource(RunningContainerds.First.class)
@interface OneContainerd {}

package brig.testing.integration;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.ExtensionContext;

/** A promise that only Brig makes: not asked of another runtime that the tests are tried with. */
@Target({ElementType.TYPE, ElementType.METHOD})
@Retention(RetentionPolicy.RUNTIME)
@ExtendWith(OnlyBrig.Condition.class)
@interface OnlyBrig {

  /** Asks for the runtime of this run. */
  final class Condition implements ExecutionCondition {
    @Override
    public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
      return RunningContainerds.SETTINGS.isBrig()
          ? ConditionEvaluationResult.enabled("the runtime under test is Brig")
          : ConditionEvaluationResult.disabled("another runtime's containers");
    }
  }
}

package brig.shim.task;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(30)
class SerialQueueTest {
  private final SerialQueue queue = new SerialQueue();

  @Test
  void tasksRunInTheOrderOfTheirSubmissionAndNeverTogether() throws InterruptedException {
    List<Integer> order = new ArrayList<>();
    AtomicInteger running = new AtomicInteger();
    AtomicInteger most = new AtomicInteger();
    CountDownLatch done = new CountDownLatch(1000);
    for (int i = 0; i < 1000; i++) {
      int number = i;
      queue.submit(() -> {
        most.accumulateAndGet(running.incrementAndGet(), Math::max);
        order.add(number);
        Thread.yield();
        running.decrementAndGet();
        done.countDown();
      });
    }
    assertThat(done.await(20, TimeUnit.SECONDS)).isTrue();
    assertThat(order).hasSize(1000).isSorted();
    assertThat(most).hasValue(1);
  }

  @Test
  void aTaskThatThrowsEndsOnlyItself() throws InterruptedException {
    Thread.UncaughtExceptionHandler before = Thread.getDefaultUncaughtExceptionHandler();
    CountDownLatch told = new CountDownLatch(1);
    Thread.setDefaultUncaughtExceptionHandler((thread, fault) -> told.countDown());
    try {
      CountDownLatch next = new CountDownLatch(1);
      queue.submit(() -> {
        throw new StackOverflowError("as if");
      });
      queue.submit(next::countDown);
      assertThat(next.await(10, TimeUnit.SECONDS)).isTrue();
      assertThat(told.await(10, TimeUnit.SECONDS)).isTrue();
    } finally {
      Thread.setDefaultUncaughtExceptionHandler(before);
    }
  }

  @Test
  void aQueueIsIdleForItsOnlyTask() throws InterruptedException {
    CountDownLatch done = new CountDownLatch(1);
    List<Boolean> seen = new ArrayList<>();
    queue.submit(() -> {
      seen.add(queue.isIdle());
      done.countDown();
    });
    assertThat(done.await(10, TimeUnit.SECONDS)).isTrue();
    assertThat(seen).containsExactly(true);
  }
}

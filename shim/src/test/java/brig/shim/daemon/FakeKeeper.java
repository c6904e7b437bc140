package brig.shim.daemon;

import brig.proto.keeper.Call;
import brig.proto.keeper.CallAnswer;
import brig.proto.keeper.Cancel;
import brig.proto.keeper.ContainerPatch;
import brig.proto.keeper.ContainerRecord;
import brig.proto.keeper.Event;
import brig.proto.keeper.FromKeeper;
import brig.proto.keeper.Hello;
import brig.proto.keeper.HostFacts;
import brig.proto.keeper.Opening;
import brig.proto.keeper.ProcessInfo;
import brig.proto.keeper.ProcessPatch;
import brig.proto.keeper.Reply;
import brig.proto.keeper.Request;
import brig.proto.keeper.Step;
import brig.proto.keeper.StepResult;
import brig.proto.keeper.StuckStage;
import brig.proto.keeper.ToKeeper;
import brig.proto.keeper.Welcome;
import com.google.protobuf.ByteString;
import com.google.protobuf.MessageLite;
import java.io.DataInputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Function;

/**
 * A keeper as the contract describes it, with a script in place of processes: numbers requests,
 * keeps each step's result until the Reply, applies Replies, and says all that it keeps again to
 * the next daemon.
 */
final class FakeKeeper implements AutoCloseable {
  private record StepKey(long seq, int step) {}

  static final String INSTANCE = "0123456789abcdef0123456789abcdef";

  /** A step that the script leaves unanswered. */
  static final StepResult NO_ANSWER = StepResult.newBuilder().setSeq(-1).build();

  private final Path socketPath;
  private final Function<Step, StepResult> script;
  private final HostFacts host;
  private final Map<String, ContainerRecord> records = new TreeMap<>();
  private final TreeMap<Long, Request> unanswered = new TreeMap<>();
  private final Map<StepKey, StepResult> results = new LinkedHashMap<>();
  private final Map<Long, CompletableFuture<Reply>> replies = new LinkedHashMap<>();
  private final List<Event> events = new ArrayList<>();
  private final List<Step> carriedOut = new ArrayList<>();
  private final List<StuckStage> stuck = new ArrayList<>();
  private long lastSeq;
  private int cutAfter = Integer.MAX_VALUE;
  private boolean cutAtReply;
  private CompletableFuture<Void> cut = new CompletableFuture<>();
  private SocketChannel socket;
  private final boolean grpc;
  private final int version;
  private String grpcAddress = "";
  private final Map<Long, Integer> calls = new LinkedHashMap<>();
  private final CompletableFuture<Integer> cancelled = new CompletableFuture<>();

  FakeKeeper(Path socketPath, HostFacts host, Function<Step, StepResult> script)
      throws IOException {
    this(socketPath, host, script, false);
  }

  FakeKeeper(Path socketPath, HostFacts host, Function<Step, StepResult> script, boolean grpc)
      throws IOException {
    this(socketPath, host, script, grpc, Version.KEEPER_PROTOCOL);
  }

  /**
   * @param grpc whether the pod was started for calls over gRPC
   * @param version of the protocol
   */
  FakeKeeper(
      Path socketPath, HostFacts host, Function<Step, StepResult> script, boolean grpc, int version)
      throws IOException {
    this.grpc = grpc;
    this.version = version;
    this.socketPath = socketPath;
    this.host = host;
    this.script = script;
    this.socket = SocketChannel.open(UnixDomainSocketAddress.of(socketPath));
    greet();
  }

  /** Connects to the next daemon and says everything again. */
  synchronized void reconnect() throws IOException {
    socket.close();
    cut = new CompletableFuture<>();
    cutAfter = Integer.MAX_VALUE;
    cutAtReply = false;
    socket = SocketChannel.open(UnixDomainSocketAddress.of(socketPath));
    greet();
    for (Request request : unanswered.values()) {
      send(request.toBuilder().setReplayed(true).build());
    }
  }

  private void greet() throws IOException {
    Hello hello =
        Hello.newBuilder()
            .setProtocolVersion(version)
            .setPlanVersion(1000)
            .setInstance(INSTANCE)
            .setProgramVersion("test")
            .setContainerdAddress("/run/containerd/containerd.sock")
            .setNamespace("default")
            .setGroup("pod")
            .setClassName("brig")
            .setPid((int) ProcessHandle.current().pid())
            .setHost(host)
            .addAllContainers(records.values())
            .addAllStuckStages(stuck)
            .setGrpc(grpc)
            .build();
    write(Opening.newBuilder().setKeeper(hello).build());
    DataInputStream in = new DataInputStream(Channels.newInputStream(socket));
    Welcome welcome = read(in).getWelcome();
    if (!welcome.getRefused().isEmpty()) {
      throw new IOException("refused: " + welcome.getRefused());
    }
    grpcAddress = welcome.getGrpcAddress();
    // What the last daemon's clients waited for is nobody's any more.
    calls.clear();
    SocketChannel connected = socket;
    Thread.ofVirtual().start(() -> readAll(connected, in));
  }

  /** Where the daemon serves this pod over gRPC; empty: nowhere. */
  synchronized String grpcAddress() {
    return grpcAddress;
  }

  /** The first call that its client gave up. */
  CompletableFuture<Integer> cancelled() {
    return cancelled;
  }

  private synchronized void call(Call call) throws IOException {
    request(call.getService(), call.getMethod(), call.getPayload());
    calls.put(lastSeq, call.getId());
  }

  private void answerCall(int id, Reply reply) {
    try {
      CallAnswer answer =
          CallAnswer.newBuilder()
              .setId(id)
              .setCode(reply.getCode())
              .setMessage(reply.getMessage())
              .setPayload(reply.getPayload())
              .build();
      write(FromKeeper.newBuilder().setCallAnswer(answer).build());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** As if the daemon had ended: requests are kept for the next one. */
  synchronized void disconnect() throws IOException {
    socket.close();
  }

  /** Sends a request of containerd's. */
  CompletableFuture<Reply> task(String method, MessageLite message) throws IOException {
    return request("containerd.task.v2.Task", method, message.toByteString());
  }

  CompletableFuture<Reply> notice(String method, MessageLite message) throws IOException {
    return request("brig.keeper.v1.Notice", method, message.toByteString());
  }

  synchronized CompletableFuture<Reply> request(String service, String method, ByteString payload)
      throws IOException {
    lastSeq++;
    Request request =
        Request.newBuilder()
            .setSeq(lastSeq)
            .setService(service)
            .setMethod(method)
            .setPayload(payload)
            .build();
    CompletableFuture<Reply> reply = new CompletableFuture<>();
    unanswered.put(lastSeq, request);
    replies.put(lastSeq, reply);
    if (socket.isOpen()) {
      send(request);
    }
    return reply;
  }

  /** Nobody waits any more for the requests of this method; how many there were. */
  synchronized int cancelAll(String method) throws IOException {
    List<Long> gone =
        unanswered.values().stream()
            .filter(request -> request.getMethod().equals(method))
            .map(Request::getSeq)
            .toList();
    for (long seq : gone) {
      unanswered.remove(seq);
      replies.remove(seq);
      write(FromKeeper.newBuilder().setCancel(Cancel.newBuilder().setSeq(seq)).build());
    }
    return gone.size();
  }

  static Reply await(CompletableFuture<Reply> reply) throws InterruptedException {
    try {
      return reply.get(20, TimeUnit.SECONDS);
    } catch (ExecutionException | TimeoutException e) {
      throw new AssertionError("no reply", e);
    }
  }

  /**
   * From now on the connection goes dead once so many further steps have been carried out, before
   * the last one's result is told.
   */
  synchronized CompletableFuture<Void> cutAfterSteps(int steps) {
    cutAfter = carriedOut.size() + steps;
    return cut;
  }

  /** The connection goes dead before the next reply is taken from it. */
  synchronized CompletableFuture<Void> cutAtReply() {
    cutAtReply = true;
    return cut;
  }

  synchronized List<Event> events() {
    return List.copyOf(events);
  }

  synchronized List<String> topics() {
    return events.stream().map(Event::getTopic).toList();
  }

  /** Each step once, whatever number of daemons asked for it. */
  synchronized List<Step> carriedOut() {
    return List.copyOf(carriedOut);
  }

  synchronized Map<String, ContainerRecord> records() {
    return Map.copyOf(records);
  }

  synchronized void hold(ContainerRecord record) {
    records.put(record.getContainerId(), record);
  }

  /** A stage of this container hangs in the kernel, and is in every Hello from now on. */
  synchronized void hangs(String id) {
    stuck.add(StuckStage.newBuilder().setContainerId(id).setPid(1).build());
  }

  private void readAll(SocketChannel connected, DataInputStream in) {
    try {
      while (true) {
        ToKeeper message = read(in);
        switch (message.getMessageCase()) {
          case STEP -> carryOut(connected, message.getStep());
          case REPLY -> apply(message.getReply());
          case CALL -> call(message.getCall());
          case CANCEL_CALL -> cancelled.complete(message.getCancelCall().getId());
          case WELCOME, MESSAGE_NOT_SET -> throw new IOException("unexpected " + message);
        }
      }
    } catch (IOException e) {
      // The daemon is gone; the test makes the next one.
    }
  }

  private void carryOut(SocketChannel connected, Step step) throws IOException {
    StepKey key = new StepKey(step.getSeq(), step.getStep());
    StepResult result;
    synchronized (this) {
      if (connected != socket || cut.isDone()) {
        return;
      }
      result = results.get(key);
      if (result == null) {
        carriedOut.add(step);
        StepResult told = script.apply(step);
        if (told == NO_ANSWER) {
          return;
        }
        result = told.toBuilder().setSeq(step.getSeq()).setStep(step.getStep()).build();
        results.put(key, result);
        if (carriedOut.size() >= cutAfter) {
          cut.complete(null);
          return;
        }
      }
    }
    write(FromKeeper.newBuilder().setStepResult(result).build());
  }

  /** Answers a step, which the script has left unanswered, once the result is there. */
  void later(Step step, CompletableFuture<StepResult> coming) {
    coming.thenAcceptAsync(told -> {
      StepResult result = told.toBuilder().setSeq(step.getSeq()).setStep(step.getStep()).build();
      try {
        synchronized (this) {
          results.put(new StepKey(step.getSeq(), step.getStep()), result);
        }
        write(FromKeeper.newBuilder().setStepResult(result).build());
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    });
  }

  private synchronized void apply(Reply reply) {
    if (cutAtReply) {
      cut.complete(null);
    }
    if (cut.isDone() || unanswered.remove(reply.getSeq()) == null) {
      return;
    }
    results.keySet().removeIf(key -> key.seq() == reply.getSeq());
    events.addAll(reply.getEventsList());
    reply.getPatchesList().forEach(this::apply);
    Integer call = calls.remove(reply.getSeq());
    if (call != null) {
      answerCall(call, reply);
    }
    CompletableFuture<Reply> waiting = replies.remove(reply.getSeq());
    if (waiting != null) {
      waiting.completeAsync(() -> reply);
    }
  }

  private void apply(ContainerPatch patch) {
    if (patch.getRemove()) {
      records.remove(patch.getContainerId());
      return;
    }
    ContainerRecord.Builder record =
        records
            .getOrDefault(patch.getContainerId(), ContainerRecord.getDefaultInstance())
            .toBuilder()
            .setContainerId(patch.getContainerId());
    if (patch.hasState()) {
      record.setState(patch.getState());
    }
    Map<String, ProcessInfo> infos = new TreeMap<>();
    record.getProcessesList().forEach(process -> infos.put(process.getExecId(), process.getInfo()));
    for (ProcessPatch process : patch.getProcessesList()) {
      if (process.getRemove()) {
        infos.remove(process.getExecId());
      } else if (process.hasInfo()) {
        infos.put(process.getExecId(), process.getInfo());
      }
    }
    record.clearProcesses();
    infos.forEach((id, info) -> record.addProcessesBuilder().setExecId(id).setInfo(info));
    records.put(patch.getContainerId(), record.build());
  }

  private void send(Request request) throws IOException {
    write(FromKeeper.newBuilder().setRequest(request).build());
  }

  private void write(MessageLite message) throws IOException {
    byte[] body = message.toByteArray();
    ByteBuffer frame = ByteBuffer.allocate(4 + body.length).putInt(body.length).put(body).flip();
    SocketChannel to = socket;
    synchronized (to) {
      while (frame.hasRemaining()) {
        to.write(frame);
      }
    }
  }

  private static ToKeeper read(DataInputStream in) throws IOException {
    return ToKeeper.parseFrom(in.readNBytes(in.readInt()));
  }

  @Override
  public void close() throws IOException {
    socket.close();
  }
}

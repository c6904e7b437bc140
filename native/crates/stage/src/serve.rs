//! The stage's conversation with the keeper: open sources, then one plan; or hooks.

use std::os::fd::{AsFd, OwnedFd};

use wire::Message;
use wire::keeper::from_stage::{FdRole as OutRole, Message as Answer};
use wire::keeper::stage_execute::FdRole;
use wire::keeper::to_stage::Message as Question;
use wire::keeper::{Done, FromStage, OpenStage, RunHooks, StageExecute, StageOpened, ToStage};
use wire::plan::{Hook, LaunchPlan, launch_plan};

use crate::child::LaunchDescriptors;
use crate::create::{self, Standing, required};
use crate::errors::{Result, StageError, Step};
use crate::exec;
use crate::floor::Floor;
use crate::hooks::{self, Program};
use crate::packets;
use crate::placeholder::Placeholder;
use crate::restart;
use crate::undo::Undo;
use crate::{Class, Stage};

/// Most hooks of one request.
const MAX_HOOKS: usize = 256;

/// Until the keeper closes its end, or a plan has been carried out or has failed.
pub fn serve(control: &OwnedFd, class: &Class, stage: Result<Stage>) {
    let mut stage = stage;
    while let Ok(Some((frame, descriptors))) = packets::receive_frame(control, wire::MAX_FRAME) {
        let question = ToStage::decode(frame.as_slice())
            .ok()
            .and_then(|question| question.message);
        let go_on = match (question, &mut stage) {
            (_, Err(error)) => fail(control, error),
            (Some(Question::Open(open)), Ok(stage)) => match open_sources(stage, &open) {
                Ok(opened) => answer(control, Answer::Opened(opened), Vec::new(), &[]),
                Err(error) => fail(control, &error),
            },
            (Some(Question::Execute(execute)), Ok(stage)) => {
                execute_plan(control, class, stage, execute, descriptors);
                false
            }
            (Some(Question::RunHooks(hooks)), Ok(_)) => {
                let allowed =
                    Floor::read(class).and_then(|floor| floor.check_hooks(hooks.hooks.len()));
                match allowed.and_then(|()| run_hooks(&hooks)) {
                    Ok(()) => answer(control, Answer::Done(Done::default()), Vec::new(), &[]),
                    Err(error) => fail(control, &error),
                };
                false
            }
            (None, Ok(_)) => fail(
                control,
                &StageError::new(Step::Request, "frame", "not a message this stage knows"),
            ),
        };
        if !go_on {
            return;
        }
    }
}

fn open_sources(stage: &mut Stage, open: &OpenStage) -> Result<StageOpened> {
    let probe = stage.template.probe_user_namespace.as_fd();
    let sources = stage.handles.open(&open.sources, &stage.procfs, probe)?;
    if open.placeholder && stage.placeholder.is_none() {
        stage.placeholder = Some(Placeholder::start()?);
    }
    Ok(StageOpened {
        sources,
        placeholder_pid: stage.placeholder.map_or(0, Placeholder::pid),
        // The keeper's to add.
        remembered: Vec::new(),
    })
}

/// Runs them all, in order; the first failure is told when the last has run.
///
/// # Errors
/// A hook can't be run, or fails.
pub fn run_hooks(request: &RunHooks) -> Result<()> {
    if request.hooks.len() > MAX_HOOKS {
        return Err(StageError::new(
            Step::RunHook,
            "hooks",
            format!("more than {MAX_HOOKS}"),
        ));
    }
    let state = String::from_utf8_lossy(&request.state_json);
    let mut outcome = Ok(());
    for hook in &request.hooks {
        let run = || {
            let hook = Hook::decode(hook.as_slice())
                .map_err(|error| StageError::new(Step::RunHook, "hook", error))?;
            let program = hooks::open_host(&hook)?;
            hooks::run(&hook, &Program::Opened(program.as_fd()), &state)
        };
        outcome = outcome.and(run());
    }
    outcome
}

pub fn execute_plan(
    control: &OwnedFd,
    class: &Class,
    stage: &Stage,
    execute: StageExecute,
    descriptors: Vec<OwnedFd>,
) {
    let mut undo = Undo::default();
    match carry_out(control, class, stage, &execute, descriptors, &mut undo) {
        Ok(standing) => {
            if report(control, standing) {
                undo.release();
            }
        }
        Err(error) => {
            // First undone, then told: who hears of the failure finds nothing left.
            undo.run();
            fail(control, &error);
        }
    }
}

fn carry_out(
    control: &OwnedFd,
    class: &Class,
    stage: &Stage,
    execute: &StageExecute,
    descriptors: Vec<OwnedFd>,
    undo: &mut Undo,
) -> Result<Standing> {
    let plan = LaunchPlan::decode(execute.plan.as_slice())
        .map_err(|error| StageError::new(Step::ReadPlan, "launch plan", error))?;
    let ours = wire::PLAN_VERSION;
    if plan.contract_version / 1000 != ours / 1000 || plan.contract_version > ours {
        let cause = format!(
            "contract {}, this program knows up to {ours}",
            plan.contract_version
        );
        return Err(StageError::new(Step::ReadPlan, "launch plan", cause)
            .remedy("brigd is newer than the pod's keeper; new pods get the new program"));
    }
    if restart::is_needed(&plan) && !stage.read_only_program {
        return Err(restart::restart(
            control,
            class,
            stage,
            execute,
            &descriptors,
        ));
    }
    let (launch, init) = assign(execute, descriptors)?;
    let floor = Floor::of_plan(class, &plan.class_name)?;
    match &plan.kind {
        Some(launch_plan::Kind::Create(plan)) => create::create(stage, &floor, plan, launch, undo),
        Some(launch_plan::Kind::Exec(plan)) => {
            let init = required(init, "pidfd of the container's first process")?;
            exec::exec(stage, &floor, plan, launch, &init, undo)
        }
        None => Err(StageError::new(
            Step::ReadPlan,
            "launch plan",
            "it is for nothing",
        )),
    }
}

/// Which descriptor is what.
fn assign(
    execute: &StageExecute,
    descriptors: Vec<OwnedFd>,
) -> Result<(LaunchDescriptors, Option<OwnedFd>)> {
    if execute.fds.len() != descriptors.len() {
        let cause = format!(
            "{} came, {} were announced",
            descriptors.len(),
            execute.fds.len()
        );
        return Err(StageError::new(Step::Request, "descriptors", cause));
    }
    let (mut stdin, mut stdout, mut stderr, mut barrier, mut init) = (None, None, None, None, None);
    for (role, descriptor) in execute.fds().zip(descriptors) {
        let place = match role {
            FdRole::Stdin => &mut stdin,
            FdRole::Stdout => &mut stdout,
            FdRole::Stderr => &mut stderr,
            FdRole::Barrier => &mut barrier,
            FdRole::InitPidfd => &mut init,
            FdRole::Unspecified => {
                return Err(StageError::new(
                    Step::Request,
                    "descriptors",
                    "one has no known role",
                ));
            }
        };
        if place.replace(descriptor).is_some() {
            return Err(StageError::new(
                Step::Request,
                "descriptors",
                format!("two for {role:?}"),
            ));
        }
    }
    let barrier = required(barrier, "barrier")?;
    Ok((
        LaunchDescriptors {
            stdin,
            stdout,
            stderr,
            barrier,
        },
        init,
    ))
}

fn report(control: &OwnedFd, standing: Standing) -> bool {
    let mut roles = Vec::new();
    let mut descriptors = Vec::new();
    if let Some(terminal) = &standing.terminal {
        roles.push(OutRole::PtyMaster);
        descriptors.push(terminal.as_fd());
    }
    if let Some(listener) = &standing.seccomp_listener {
        roles.push(OutRole::SeccompListener);
        descriptors.push(listener.as_fd());
    }
    answer(
        control,
        Answer::Executed(standing.executed),
        roles,
        &descriptors,
    )
}

/// Tells the keeper that nothing will come of it.
pub fn refuse(control: &OwnedFd, error: &StageError) {
    fail(control, error);
}

fn fail(control: &OwnedFd, error: &StageError) -> bool {
    answer(
        control,
        Answer::Failure(error.to_failure()),
        Vec::new(),
        &[],
    );
    false
}

/// False when the keeper is gone.
fn answer(
    control: &OwnedFd,
    message: Answer,
    roles: Vec<OutRole>,
    descriptors: &[std::os::fd::BorrowedFd<'_>],
) -> bool {
    let fds = roles.into_iter().map(i32::from).collect();
    let body = FromStage {
        message: Some(message),
        fds,
    }
    .encode_to_vec();
    packets::send_frame(control, &body, descriptors).is_ok()
}

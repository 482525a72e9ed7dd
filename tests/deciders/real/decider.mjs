// A decider of the AWS SDK for JavaScript, with no framework: it decides for one execution, by the
// events of the whole history, and prints one line of JSON when it closes it. Arguments: the
// endpoint, the domain, its task list, the activities' task list.

import {
  RespondDecisionTaskCompletedCommand,
  SWFClient,
  paginatePollForDecisionTask,
} from "@aws-sdk/client-swf";

const [endpoint, domain, own, tasks] = process.argv.slice(2);
const client = new SWFClient({
  endpoint,
  region: "us-east-1",
  credentials: { accessKeyId: "local", secretAccessKey: "local" },
});

const schedule = (activityId, name, input) => ({
  decisionType: "ScheduleActivityTask",
  scheduleActivityTaskDecisionAttributes: {
    activityId,
    activityType: { name, version: "1" },
    taskList: { name: tasks },
    input: JSON.stringify(input),
    heartbeatTimeout: "300",
    scheduleToStartTimeout: "300",
    startToCloseTimeout: "300",
    scheduleToCloseTimeout: "600",
  },
});

// What became of each activity, by its id.
function statesOf(events) {
  const ids = new Map();
  const states = {};
  for (const event of events) {
    const type = event.eventType;
    const told = event[`${type[0].toLowerCase()}${type.slice(1)}EventAttributes`];
    if (type === "ActivityTaskScheduled") {
      ids.set(event.eventId, told.activityId);
      states[told.activityId] = { is: "open" };
    } else if (type === "ActivityTaskCancelRequested") {
      states[told.activityId].asked = true;
    } else if (type === "ActivityTaskCompleted") {
      const result = told.result === undefined ? null : JSON.parse(told.result);
      states[ids.get(told.scheduledEventId)] = { is: "completed", result };
    } else if (type === "ActivityTaskFailed") {
      const { version, type, message, retryable, details } = JSON.parse(told.details);
      const failure = { reason: told.reason, version, type, message, retryable, details };
      states[ids.get(told.scheduledEventId)] = { is: "failed", failure };
    } else if (type === "ActivityTaskCanceled") {
      const details = told.details === undefined ? null : JSON.parse(told.details);
      const requested = told.latestCancelRequestedEventId !== undefined;
      states[ids.get(told.scheduledEventId)] = { is: "canceled", details, requested };
    } else if (type === "WorkflowExecutionSignaled") {
      states.signaled = true;
    }
  }
  return states;
}

// One activity, tried again for as long as its failures say that this is of use.
function tried(states, name, input, decisions) {
  const failures = [];
  for (let attempts = 1; ; attempts += 1) {
    const state = states[`${name}-${attempts}`];
    if (state === undefined) {
      decisions.push(schedule(`${name}-${attempts}`, name, input));
      return undefined;
    }
    if (state.is === "open") return undefined;
    const { failure, asked, ...ended } = state;
    if (failure) failures.push(failure);
    if (failure?.retryable && attempts < 3) continue;
    return { attempts, ...ended, ...(failures.length ? { failures } : {}) };
  }
}

function decide(events) {
  const states = statesOf(events);
  const { order } = JSON.parse(events[0].workflowExecutionStartedEventAttributes.input);
  const decisions = [];
  const charged = tried(states, "Charge", { order, amount: 3 }, decisions);
  const again = charged && tried(states, "Flaky", charged.result, decisions);
  const declined = tried(states, "Decline", { order }, decisions);
  const waited = tried(states, "Wait", { order }, decisions);
  const waiting = states["Wait-1"];
  if (states.signaled && waiting?.is === "open" && !waiting.asked) {
    decisions.push({
      decisionType: "RequestCancelActivityTask",
      requestCancelActivityTaskDecisionAttributes: { activityId: "Wait-1" },
    });
  }
  if (!charged || !again || !declined || !waited) return { decisions };
  const read = { charged, again, declined, waited };
  decisions.push({
    decisionType: "CompleteWorkflowExecution",
    completeWorkflowExecutionDecisionAttributes: { result: JSON.stringify(read) },
  });
  return { decisions, read };
}

for (let closed = false; !closed; ) {
  const asked = { domain, taskList: { name: own }, identity: "decider.mjs" };
  const events = [];
  let taskToken;
  for await (const page of paginatePollForDecisionTask({ client }, asked)) {
    taskToken = page.taskToken;
    events.push(...(page.events ?? []));
  }
  if (!taskToken) continue;
  const { decisions, read } = decide(events);
  await client.send(new RespondDecisionTaskCompletedCommand({ taskToken, decisions }));
  if (read) console.log(JSON.stringify(read));
  closed = read !== undefined;
}
client.destroy();

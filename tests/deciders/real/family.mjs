// A decider of the AWS SDK for JavaScript for two workflows: a parent with a marker, a timer, a signal
// and a child, and the child, which has an activity done. It prints one line of JSON when the parent
// is closed. Arguments: the endpoint, the domain, its task list, the activities' task list.

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

const decision = (decisionType, attributes) => ({
  decisionType,
  [`${decisionType[0].toLowerCase()}${decisionType.slice(1)}DecisionAttributes`]: attributes,
});

// The attributes of the events of one type.
function toldBy(events, type) {
  const name = `${type[0].toLowerCase()}${type.slice(1)}EventAttributes`;
  return events.filter(({ eventType }) => eventType === type).map((event) => event[name]);
}

function decideForChild(events) {
  const [done] = toldBy(events, "ActivityTaskCompleted");
  if (done) return [decision("CompleteWorkflowExecution", { result: done.result })];
  if (toldBy(events, "ActivityTaskScheduled").length) return [];
  const [{ input }] = toldBy(events, "WorkflowExecutionStarted");
  return [
    decision("ScheduleActivityTask", {
      activityId: "Charge",
      activityType: { name: "Charge", version: "1" },
      taskList: { name: tasks },
      input,
      heartbeatTimeout: "300",
      scheduleToStartTimeout: "300",
      startToCloseTimeout: "300",
      scheduleToCloseTimeout: "600",
    }),
  ];
}

function decideForParent(events, workflowId) {
  const [{ input }] = toldBy(events, "WorkflowExecutionStarted");
  if (!toldBy(events, "TimerStarted").length) {
    return [
      decision("RecordMarker", { markerName: "begun", details: input }),
      decision("StartTimer", { timerId: "soon", startToFireTimeout: "1" }),
      decision("StartChildWorkflowExecution", {
        workflowId: `${workflowId}/child`,
        workflowType: { name: "Child", version: "1" },
        taskList: { name: own },
        childPolicy: "TERMINATE",
        executionStartToCloseTimeout: "600",
        taskStartToCloseTimeout: "60",
        input,
      }),
    ];
  }
  const [fired] = toldBy(events, "TimerFired");
  const [signal] = toldBy(events, "WorkflowExecutionSignaled");
  const [child] = toldBy(events, "ChildWorkflowExecutionCompleted");
  if (!fired || !signal || !child) return [];
  const [marker] = toldBy(events, "MarkerRecorded");
  const read = {
    child: JSON.parse(child.result),
    id: child.workflowExecution.workflowId,
    signal: signal.input,
    sender: signal.externalInitiatedEventId,
    marker: JSON.parse(marker.details),
    timer: fired.timerId,
  };
  return [decision("CompleteWorkflowExecution", { result: JSON.stringify(read) })];
}

for (let closed = false; !closed; ) {
  const asked = { domain, taskList: { name: own }, identity: "family.mjs" };
  const events = [];
  let task;
  for await (const page of paginatePollForDecisionTask({ client }, asked)) {
    task ??= page; // the first page's token is good for all of them
    events.push(...(page.events ?? []));
  }
  if (!task.taskToken) continue;
  const { taskToken, workflowExecution, workflowType } = task;
  const ofParent = workflowType.name === "Flow";
  const decisions = ofParent
    ? decideForParent(events, workflowExecution.workflowId)
    : decideForChild(events);
  await client.send(new RespondDecisionTaskCompletedCommand({ taskToken, decisions }));
  closed = ofParent && decisions[0]?.decisionType === "CompleteWorkflowExecution";
  if (closed) console.log(decisions[0].completeWorkflowExecutionDecisionAttributes.result);
}
client.destroy();

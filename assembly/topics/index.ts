// What the topics folder offers to the core's index.ts.
export { filterMatches } from "./filter";
export { levelCount, levelsPtr, scanTopicFilter, scanTopicName, setMaxLevels, setSeed, topicHash, topicHash2 } from "./levels";
export { filterCount, listsPtr, matchTopic, subscribe, subscriptionCount, tableBytes, unsubscribe } from "./table";

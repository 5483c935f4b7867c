// A thing model with every data type, as products of the tests have it.
export const MODEL = {
  schema: "https://iotx-tsl.oss-ap-southeast-1.aliyuncs.com/schema.json",
  deviceType: "Ammeter",
  profile: { productKey: "a1MODEL0001" },
  properties: [
    {
      identifier: "Power",
      name: "power",
      accessMode: "rw",
      dataType: { type: "bool", specs: { "0": "off", "1": "on" } },
    },
    { identifier: "Level", accessMode: "rw", dataType: { type: "int", specs: { min: "0", max: "100" } } },
    { identifier: "Heat", accessMode: "r", dataType: { type: "double", specs: { min: "-40", max: "120" } } },
    { identifier: "Ratio", accessMode: "rw", dataType: { type: "float", specs: { min: "0", max: "1" } } },
    { identifier: "Name", accessMode: "rw", dataType: { type: "text", specs: { length: "8" } } },
    { identifier: "Since", accessMode: "rw", dataType: { type: "date", specs: {} } },
    { identifier: "Mode", accessMode: "rw", dataType: { type: "enum", specs: { "1": "eco", "3": "full" } } },
    {
      identifier: "Position",
      accessMode: "rw",
      dataType: {
        type: "struct",
        specs: [
          { identifier: "latitude", dataType: { type: "double", specs: { min: "-90", max: "90" } } },
          { identifier: "longitude", dataType: { type: "double", specs: { min: "-180", max: "180" } } },
        ],
      },
    },
    {
      identifier: "Samples",
      accessMode: "rw",
      dataType: { type: "array", specs: { size: "3", item: { type: "int" } } },
    },
  ],
  events: [
    {
      identifier: "Broken",
      name: "broken down",
      type: "alert",
      outputData: [{ identifier: "ErrorCode", dataType: { type: "int", specs: { min: "0", max: "9" } } }],
    },
  ],
  services: [
    {
      identifier: "Reset",
      callType: "async",
      inputData: [{ identifier: "Delay", dataType: { type: "int", specs: { min: "0", max: "60" } } }],
    },
    { identifier: "Measure", callType: "sync", inputData: [], outputData: [] },
  ],
} as const;

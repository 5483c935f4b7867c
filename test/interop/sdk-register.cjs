// Dynamic registration with one of the vendor's Node SDKs, unmodified: REGISTER holds what register() is given, one line of JSON
// what it answers.
const iot = require(process.env.SDK ?? "alibabacloud-iot-device-sdk");

iot.register(JSON.parse(process.env.REGISTER), (answer) =>
  process.stdout.write(
    `${JSON.stringify({ code: answer.code, data: answer.data, message: answer.message })}\n`,
  ),
);

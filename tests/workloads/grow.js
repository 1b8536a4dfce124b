// SPDX-License-Identifier: GPL-2.0-or-later
// V8's heap grows when told: each "go" keeps some 30 MB of objects.
const kept = [];
console.log("ready " + process.pid);
process.stdin.on("data", () => {
	for (let i = 0; i < 300000; i++) kept.push({ a: i, b: [i, i] });
	console.log("done");
});

// SPDX-License-Identifier: GPL-2.0-or-later
//
// Node's https and http2 as clients of the interoperability tests; what it reads and writes:
// tests/lib/visits.py. The authority that it trusts is named by NODE_EXTRA_CA_CERTS.
'use strict';

const crypto = require('crypto');
const fs = require('fs');
const http2 = require('http2');
const https = require('https');

const body = fs.readFileSync(process.argv[2]);
// One for all visits: the agent keeps the sessions.
const agent = new https.Agent({keepAlive: true, maxSockets: 1});

function digestOf(stream, done) {
	const digest = crypto.createHash('sha256');
	stream.on('data', (data) => digest.update(data));
	stream.on('end', () => done(digest.digest('hex')));
}

function stepHttp1(port, method, path) {
	return new Promise((resolve, reject) => {
		const request = https.request({host: 'localhost', family: 4, port, path, method, agent}, (response) => {
			const issuer = response.socket.getPeerCertificate().issuer;
			digestOf(response, (digest) => resolve(
				`${response.statusCode} ${response.httpVersion} ${digest} ${issuer ? issuer.CN : '-'}`));
		});
		request.on('error', reject);
		request.end(method === 'POST' ? body : undefined);
	});
}

function stepHttp2(session, method, path) {
	return new Promise((resolve, reject) => {
		const stream = session.request({':method': method, ':path': path});
		let status;
		stream.on('response', (headers) => { status = headers[':status']; });
		stream.on('error', reject);
		digestOf(stream, (digest) => resolve(
			`${status} 2 ${digest} ${session.socket.getPeerCertificate().issuer.CN}`));
		stream.end(method === 'POST' ? body : undefined);
	});
}

function connectHttp2(port) {
	return new Promise((resolve, reject) => {
		const session = http2.connect(`https://localhost:${port}`, {family: 4});
		session.on('error', reject);
		session.on('connect', () => resolve(session));
	});
}

async function visit(number, port, http, steps) {
	let session;
	try {
		session = http === '2' ? await connectHttp2(port) : null;
		for (const [method, path] of steps)
			console.log(number + ' ' + (session ? await stepHttp2(session, method, path) :
				await stepHttp1(port, method, path)));
	} catch (error) {
		console.log(`${number} error ${error.code} ${error.message}`);
	}
	if (session)
		session.close();
	// Not agent.destroy(), which forgets the sessions as well.
	for (const socket of Object.values(agent.freeSockets).flat())
		await new Promise((resolve) => socket.ref().once('close', resolve).end());
}

async function main() {
	const lines = fs.readFileSync(0, 'utf8').trim().split('\n');
	for (const [number, line] of lines.entries()) {
		const [port, http, ...words] = line.split(' ');
		const steps = [];
		while (words.length)
			steps.push(words.splice(0, 2));
		await visit(number, port, http, steps);
	}
}

main();

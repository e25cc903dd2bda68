// SPDX-License-Identifier: GPL-2.0-or-later
//
// Node's http2 with HTTP/1.1 beside it as an origin of the interoperability tests. A GET is answered
// with the file of that name, a POST with the SHA-256 of what came.
//   node interop_origin.js PORT CERTIFICATE KEY FOLDER
'use strict';

const crypto = require('crypto');
const fs = require('fs');
const http2 = require('http2');
const path = require('path');

const [port, cert, key, folder] = process.argv.slice(2);
const options = {cert: fs.readFileSync(cert), key: fs.readFileSync(key), allowHTTP1: true};

http2.createSecureServer(options, (request, response) => {
	if (request.method === 'GET') {
		const file = path.join(folder, path.basename(request.url));
		response.statusCode = fs.existsSync(file) ? 200 : 404;
		response.end(fs.existsSync(file) ? fs.readFileSync(file) : '');
		return;
	}
	const digest = crypto.createHash('sha256');
	request.on('data', (data) => digest.update(data));
	request.on('end', () => response.end(digest.digest('hex')));
}).listen(Number(port), '127.0.0.1');

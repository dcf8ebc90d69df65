<?php
require 'vendor/autoload.php';

use OpenAPI\Client\Api\EmailApi;
use OpenAPI\Client\Configuration;
use OpenAPI\Client\Model\EmailSendRequest;

$config = Configuration::getDefaultConfiguration()
    ->setApiKey('X-Smtp2go-Api-Key', getenv('SMTP2GO_API_KEY'));
$sent = (new EmailApi(config: $config))->emailSend(new EmailSendRequest([
    'sender' => 'billing@example.com',
    'to' => ['ana@example.net'],
    'subject' => 'Invoice 7',
    'text_body' => 'It is ready.',
]));
echo $sent->getData()->getEmailId(), PHP_EOL;
